import { Command } from 'commander';
import { close_gpu } from '../platform/node_gpu.ts';
import { add_adapters } from './commands/adapters.ts';
import { add_chat } from './commands/chat.ts';
import { add_decode } from './commands/decode.ts';
import { add_describe } from './commands/describe.ts';
import { add_encode } from './commands/encode.ts';
import { add_generate } from './commands/generate.ts';
import { add_init } from './commands/init.ts';
import { add_inspect } from './commands/inspect.ts';
import { add_trace } from './commands/trace.ts';
import { version } from '../package.json';
import { report, say } from './errors.ts';
import { flush_stderr } from './quiet.ts';
import { leave_stopped, stop_on_signals, stop_signal } from './stop.ts';

const program = new Command('mmar')
  .description('Draws and reads images with MMAR, one language model for both, on WebGPU.')
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: (text) => say(`${text.trim().replace(/^error: |\.$/g, '')}; ${help_of(process.argv[2])} shows what there is`) })
  .configureHelp({ showGlobalOptions: false })
  .addHelpText('after', `
Examples:
  mmar generate "red apple" --seed 1       draw a picture
  mmar describe mmar-red-apple-1.png       read it
  mmar adapters                            what it can run on
  mmar generate --help                     all options of a command, with examples`);

for (const add of [add_generate, add_describe, add_encode, add_decode, add_trace, add_chat, add_inspect, add_init, add_adapters]) add(program);

function help_of(name: string | undefined): string {
  return program.commands.some((command) => command.name() === name) ? `mmar ${name} --help` : 'mmar --help';
}

/** Says what went wrong and ends the process. */
function fail(error: unknown): void {
  if (stop_signal.aborted) leave_stopped(); // whatever failed, failed because of that
  else void leave(report(error));
}

/** Ends the process, for Dawn keeps it alive; what was printed goes out first. */
async function leave(code: number): Promise<never> {
  close_gpu();
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  await flush_stderr();
  process.exit(code);
}

process.stdout.on('error', () => process.exit(0)); // the reader (head, less) has seen enough
process.on('uncaughtException', fail);
stop_on_signals();
try {
  await program.parseAsync();
  await leave(Number(process.exitCode ?? 0));
} catch (error) {
  fail(error);
}
