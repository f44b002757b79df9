/** The schema that this version writes; `readReport` (`read_report.ts`) reads all up to it. */
export const schema = 1;

/** What a benchmark found on one adapter: what `mmar bench --json` prints. */
export interface Report {
  schema: number;
  /** ISO 8601. */
  date: string;
  /** mmar's version. */
  version: string;
  adapter: ReportAdapter;
  clock?: { kind: string; grid_ns: number; sample_ms: number };
  limits: Record<string, number>;
  /** The spread of each limit, as a part of it. */
  limit_spread: Record<string, number>;
  kernels: KernelRow[];
  model: ModelRow[];
  peers: PeerRow[];
  /** What a reader must know, such as why the figures are void. */
  notes: string[];
}

export interface ReportAdapter {
  name: string;
  vendor: string;
  architecture: string;
  device: string;
  driver: string;
  /** `hardware` or `software`. */
  kind: string;
  /** What runs it: `Node 22.1, Dawn (webgpu 0.6.2), linux x64`, or the browser. */
  runtime: string;
  features: string[];
  limits: Record<string, number>;
}

/** One variant of a kernel at one shape. */
export interface KernelRow {
  op: string;
  /** Of a matrix product; other kernels have a `shape`. */
  m?: number;
  k?: number;
  n?: number;
  shape?: string;
  variant: string;
  /** Which model's programs run it, and its part there. */
  model?: string;
  part?: string;
  /** How often one picture's drawing runs it. */
  calls?: number;
  ms: number;
  /** The distance between the samples' quartiles, as a part of the median. */
  spread: number;
  /** `ms` over the time of a fixed piece of work that was timed in between, and that ratio's spread: what two runs on one adapter are compared by. */
  relative?: number;
  relative_spread?: number;
  /** The second half of the samples over the first, where they are more than 5 % apart. */
  moved?: number;
  gflops?: number;
  gbps?: number;
  /** The part of the adapter's limit that it reaches, and the limit that bounds it. */
  share?: number;
  bound?: string;
  /** Whether its result is that of the plain kernel; absent where it is that kernel. */
  agrees?: boolean;
  /** Why there is no time. */
  error?: string;
}

/** One figure of a whole model. */
export interface ModelRow {
  model: string;
  figure: string;
  value: number;
  unit: string;
  spread?: number;
}

/** Another library at the same shape, in the same run. */
export interface PeerRow {
  peer: string;
  op: string;
  shape: string;
  ms: number;
  spread: number;
  /** Its time over ours. */
  ratio?: number;
}

/** What makes two rows of two reports the same thing. */
export const kernelKey = (row: KernelRow): string => [row.op, shapeOf(row), row.variant].filter(Boolean).join(' ');

/** `256×896×4864` of a matrix product, else its shape in words. */
export const shapeOf = ({ m, k, n, shape }: KernelRow): string =>
  m !== undefined && k !== undefined && n !== undefined ? `${m}×${k}×${n}${shape ? ` ${shape}` : ''}` : (shape ?? '');

/** How many pictures a minute a model draws, one at a time, where that was measured. */
export const picturesAMinute = ({ model }: Pick<Report, 'model'>): ModelRow | undefined =>
  model.find(({ figure }) => figure.startsWith('pictures a minute'));
