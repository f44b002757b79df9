import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { System } from '../model/system.ts';
import { MMARSystem } from '../model/variants/mmar.ts';
import { TransfusionSystem } from '../model/variants/transfusion.ts';
import { VQSystem } from '../model/variants/vq.ts';
import type { Graph } from './graph.ts';
import { MMARGraph } from './mmar_graph.ts';
import { TransfusionGraph } from './transfusion_graph.ts';
import { VQGraph } from './vq_graph.ts';

/** The losses of a loaded system. @param draws times of each hidden token (MMAR) */
export async function graphOf(device: Device, system: System, draws: number): Promise<Graph> {
  if (system instanceof MMARSystem) return new MMARGraph(system, draws);
  if (system instanceof VQSystem) return new VQGraph(system, await device.read(system.image_tokenizer.codebook));
  if (system instanceof TransfusionSystem) return new TransfusionGraph(system);
  throw new MMARError('checkpoint', `variant ${system.config.variant} cannot be trained; use another checkpoint`);
}
