/** Runs the command line on given arguments and gives its exit code; main.ts is the process around it. */
import { Command, CommanderError } from 'commander';
import { compressHeadCommand } from './compress-head.ts';
import { convertCommand } from './convert.ts';
import { doctorCommand } from './doctor.ts';
import { embedCommand } from './embed.ts';
import { evalCommand } from './eval.ts';
import { experimentCommand } from './experiment.ts';
import { experimentPageCommand } from './experiment-page.ts';
import { experimentScansCommand } from './experiment-scans.ts';
import { Interrupted } from './interrupt.ts';
import { phantomCommand } from './phantom.ts';
import { predictCommand } from './predict.ts';
import { prepareCommand } from './prepare.ts';
import { trainCommand } from './train.ts';
import { packageVersion } from './versions.ts';

/** What the process exits with. A command may set `process.exitCode` itself where it ends without an error. */
export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export interface CommandLineOutput {
  out(text: string): void;
  err(text: string): void;
}

/** @param args what follows the program's name, for example ['doctor', '--adapter', 'swiftshader']. */
export async function runCommandLine(args: readonly string[], output: CommandLineOutput = terminal): Promise<number> {
  try {
    await buildProgram(output).parseAsync([...args], { from: 'user' });
    return EXIT.done;
  } catch (error) {
    // Commander has printed its message, with a hint at --help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return report(error, args.includes('--debug'), output);
  }
}

const terminal: CommandLineOutput = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** In the order of --help. */
const commands = (): Command[] => [
  doctorCommand(),
  phantomCommand(),
  prepareCommand(),
  trainCommand(),
  evalCommand(),
  experimentCommand(),
  experimentPageCommand(),
  predictCommand(),
  convertCommand(),
  compressHeadCommand(),
  embedCommand(),
  experimentScansCommand(),
];

function buildProgram(output: CommandLineOutput): Command {
  const program = new Command('ct-lite')
    .description('CT-Lite on WebGPU: trains, evaluates and applies a chest-CT vision-language model on JPEG volumes. Not a medical device.')
    .version(packageVersion('ct-lite') ?? 'unknown', '--version')
    .showHelpAfterError('(--help lists what there is)')
    .exitOverride()
    .configureOutput({ writeOut: output.out, writeErr: output.err });
  for (const command of commands()) {
    if (!command.options.some(({ long }) => long === '--debug')) command.option('--debug', 'print where an error came from');
    program.addCommand(command.copyInheritedSettings(program));
  }
  return program;
}

function report(error: unknown, debug: boolean, { err }: CommandLineOutput): number {
  if (error instanceof Interrupted) {
    err(`${error.message}\n`);
    return EXIT.interrupted;
  }
  const message = error instanceof Error ? error.message : String(error);
  err(`error: ${message}\n`);
  if (debug && error instanceof Error) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) err(`${cause.stack}\n`);
  }
  return EXIT.failed;
}
