import { Command } from 'commander';
import { version } from '../package.json';
import { cannot } from '../platform/node.ts';
import { closeGPU } from '../platform/node_gpu.ts';
import { addAdapters } from './commands/adapters.ts';
import { addBench } from './commands/bench.ts';
import { addChat } from './commands/chat.ts';
import { addDecode } from './commands/decode.ts';
import { addDescribe } from './commands/describe.ts';
import { addEncode } from './commands/encode.ts';
import { addGenerate } from './commands/generate.ts';
import { addInit } from './commands/init.ts';
import { addInspect } from './commands/inspect.ts';
import { addNumerics } from './commands/numerics.ts';
import { addSweep } from './commands/sweep.ts';
import { addTrace } from './commands/trace.ts';
import { addTrain } from './commands/train.ts';
import { addTune } from './commands/tune.ts';
import { report, say } from './errors.ts';
import { flushStderr } from './quiet.ts';
import { leaveStopped, stopOnSignals, stopSignal } from './stop.ts';

const program = new Command('mmar')
  .description('Draws and reads images with MMAR, one language model for both, on WebGPU.')
  .version(version)
  .exitOverride()
  .configureOutput({
    outputError: (text) =>
      say(`${text.trim().replace(/^error: |\.$/g, '')}; ${helpOf(process.argv[2])} shows what there is`),
  })
  .configureHelp({ showGlobalOptions: false })
  .addHelpText(
    'after',
    `
Examples:
  mmar generate "red apple" --seed 1       draw a picture
  mmar describe mmar-red-apple-1.png       read it
  mmar adapters                            what it can run on
  mmar generate --help                     all options of a command, with examples`,
  );

for (const add of [
  addGenerate,
  addSweep,
  addDescribe,
  addEncode,
  addDecode,
  addTrace,
  addTrain,
  addChat,
  addInspect,
  addInit,
  addAdapters,
  addBench,
  addNumerics,
  addTune,
])
  add(program);

function helpOf(name: string | undefined): string {
  return program.commands.some((command) => command.name() === name) ? `mmar ${name} --help` : 'mmar --help';
}

/** Says what went wrong and ends the process. */
function fail(error: unknown): void {
  if (stopSignal.aborted)
    leaveStopped(); // whatever failed, failed because of that
  else void leave(report(error));
}

/** Ends the process, for Dawn keeps it alive; what was printed goes out first. */
async function leave(code: number): Promise<never> {
  closeGPU();
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  await flushStderr();
  process.exit(code);
}

process.stdout.once('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0); // the reader (head, less) has seen enough
  process.stdout.on('error', () => {}); // each write that follows fails as well
  fail(cannot('write', 'the output', error));
});
process.stderr.on('error', () => {}); // nobody is told any more: a word about it would fail, too, and so on
process.on('uncaughtException', fail);
stopOnSignals();
try {
  await program.parseAsync();
  await leave(Number(process.exitCode ?? 0));
} catch (error) {
  fail(error);
}
