import type { Program } from '../../engine/program.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { Workspace } from '../../engine/workspace.ts';
import { repeatRows } from '../../shaders/gather_rows.ts';
import { placeRows } from '../../shaders/place_rows.ts';
import { codeStream, uniformNumbers } from '../../shaders/random.ts';
import { sampleCode } from '../../shaders/sample_code.ts';
import { joined, type PictureInput } from '../drawing.ts';
import type { ImageHead } from '../image_head.ts';
import type { Canvas, HeadStep, TokenHead } from '../masked_ar.ts';
import { Recent } from '../recent.ts';
import type { DrawingSettings } from '../settings.ts';

/** Numbers of tokens drawn at once whose tensors and programs are kept. */
const mostGroups = 12;

interface Group {
  workspace: Workspace;
  chosen: Tensor;
  draw: Program;
}

/** Draws tokens of a codebook: a softmax over its codes at each position (spec section 7, VQ). */
export class CategoricalHead implements TokenHead {
  readonly codes: Tensor;
  private readonly workspace: Workspace;
  private readonly uniform: Tensor;
  private readonly sampling: Tensor;
  private readonly groups = new Recent<Group>(mostGroups, async ({ workspace }) => {
    this.canvas.device.queue.submit(); // its programs may have been run, but not sent
    await workspace.release();
  });
  private temperature = 0;

  /** @param codebook [codes, d] */
  constructor(
    private readonly canvas: Canvas,
    private readonly head: ImageHead,
    private readonly codebook: Tensor,
  ) {
    const { rows } = canvas.tokens;
    this.workspace = new Workspace(canvas.device);
    this.codes = this.workspace.tensor('codes', 'u32', [rows]);
    this.uniform = this.workspace.tensor('uniform', 'f32', [rows]);
    this.sampling = this.workspace.tensor('sampling', 'f32', [2]);
  }

  serves(): boolean {
    return true;
  }

  async begin(pictures: readonly PictureInput[], settings: DrawingSettings): Promise<void> {
    const L = this.codes.cols / pictures.length;
    this.temperature = settings.temperature;
    const numbers = pictures.map(({ chance }) =>
      'seed' in chance ? uniformNumbers(L, chance.seed, codeStream) : (chance.uniform ?? new Float32Array(L)),
    );
    this.workspace.write(this.uniform, joined(numbers));
    this.workspace.write(this.codes, new Uint32Array(this.codes.cols));
  }

  async expect(count: number): Promise<void> {
    await this.group(count);
  }

  private group(count: number): Promise<Group> {
    return this.groups.get(String(count), () => this.record(count));
  }

  async draw({ chosen, guidance }: HeadStep, signal?: AbortSignal): Promise<void> {
    const group = await this.group(chosen.length);
    group.workspace.write(group.chosen, chosen);
    this.workspace.write(this.sampling, [guidance, this.temperature]);
    await this.canvas.device.queue.run(group.draw, signal);
  }

  private async record(m: number): Promise<Group> {
    const { device, branches, hidden, tokens, mask } = this.canvas;
    const { head, codebook, codes, uniform, sampling } = this;
    const workspace = new Workspace(device);
    const chosen = workspace.tensor('chosen', 'u32', [m]);
    try {
      const draw = await workspace.program(`draw ${m}`, (p) => {
        const z = hidden(p, chosen);
        p.part('image head');
        const logits = head.forward(p, z);
        const drawn = p.tensor('drawn', 'u32', [m]);
        sampleCode(p, logits, { chosen, uniform, sampling }, codes, drawn, branches);
        const x = p.tensor('x', 'f32', [m, tokens.cols]);
        repeatRows(p, codebook, drawn, 1, x);
        placeRows(p, x, chosen, tokens, mask);
      });
      return { workspace, chosen, draw };
    } catch (error) {
      await workspace.release();
      throw error;
    }
  }

  forget(): void {}

  async release(): Promise<void> {
    await this.groups.clear();
    await this.workspace.release();
  }
}
