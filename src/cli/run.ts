import yargs from 'yargs';
import { BpfError } from '../bpf/index.ts';
import { DiagnosticError } from '../diagnostics/index.ts';
import { agentCommand, gatherLists } from './commands/agent.ts';
import { benchCommand } from './commands/bench.ts';
import { classifyCommand } from './commands/classify.ts';
import { compileCommand } from './commands/compile.ts';
import { controllerCommand } from './commands/controller.ts';
import { demoCommand } from './commands/demo.ts';
import { deployCommand } from './commands/deploy.ts';
import { featuresCommand } from './commands/features.ts';
import { inspectCommand } from './commands/inspect.ts';
import { applyCommand, diffCommand } from './commands/objects/apply.ts';
import { deleteCommand } from './commands/objects/delete.ts';
import { eventsCommand } from './commands/objects/events.ts';
import { describeCommand, getCommand } from './commands/objects/get.ts';
import { watchCommand } from './commands/objects/watch.ts';
import { p4infoCommand } from './commands/p4info.ts';
import { planCommand } from './commands/plan.ts';
import { quantiseCommand } from './commands/quantise.ts';
import { runCommand } from './commands/run.ts';
import { sendCommand } from './commands/send.ts';
import { verifyCommand } from './commands/verify.ts';
import { workerCommand } from './commands/worker.ts';
import { type Io, printableIo } from './io.ts';
import { UsageError } from './usage.ts';

export type ExitCode = 0 | 1 | 2;

/** Runs one command line. Never exits the process, never throws for what the user can mend. */
export async function run(argv: readonly string[], given: Io, version: string): Promise<ExitCode> {
  const io = printableIo(given);
  let code: ExitCode = 0;
  const verbose = argv.includes('--verbose');
  const parser = yargs()
    .scriptName('intransit')
    .usage('$0 <command>\n\nCompiles quantised neural-network layers into the network path.')
    .version(version)
    .option('verbose', {
      type: 'boolean',
      default: false,
      describe: 'Show the whole log of a tool that fails',
      global: true,
    })
    .command(compileCommand(io))
    .command(quantiseCommand(io))
    .command(inspectCommand(io))
    .command(planCommand(io))
    .command(deployCommand(io))
    .command(controllerCommand(io, version))
    .command(applyCommand(io))
    .command(getCommand(io))
    .command(describeCommand(io))
    .command(diffCommand(io))
    .command(deleteCommand(io))
    .command(watchCommand(io))
    .command(eventsCommand(io))
    .command(runCommand(io))
    .command(
      verifyCommand(io, (failed) => {
        code = failed ? 1 : 0;
      }),
    )
    .command(sendCommand(io))
    .command(workerCommand(io))
    .command(benchCommand(io))
    .command(featuresCommand(io))
    .command(
      classifyCommand(io, (failed) => {
        code = failed ? 1 : 0;
      }),
    )
    .command(demoCommand(io))
    .command(p4infoCommand(io))
    .command(agentCommand(io))
    .demandCommand(1, 'name a command')
    .recommendCommands()
    .strict()
    .wrap(100)
    .exitProcess(false)
    .parserConfiguration({ 'duplicate-arguments-array': false })
    .fail((message, error) => {
      // What an option's own check throws comes as an error of the parser's.
      throw error === undefined || error.name === 'YError'
        ? new UsageError(inOneLine(message ?? error?.message ?? ''))
        : error;
    });
  try {
    await parser.parseAsync(gathered(argv), {}, (_error, _argv, output) => {
      if (output) io.out(`${output}\n`);
    });
    return code;
  } catch (error) {
    return report(error, io, verbose);
  }
}

/** The parser tells of a value that is none of the choices in a list of several lines. */
const inOneLine = (message: string): string =>
  message
    .replace(/^Invalid values:\s*Argument: (\S+), Given: (.*), Choices: (.*)$/s, '--$1 $2: must be one of $3')
    .replace(/\s*\n\s*/g, ' ');

/** Lists of options that may be given again; of others the command line's parser keeps the last. */
const lists: Readonly<Record<string, readonly string[]>> = {
  agent: ['interface', 'allow'],
  worker: ['interface', 'allow'],
  controller: ['allow'],
  apply: ['file'],
  diff: ['file'],
  delete: ['file'],
};

const gathered = (argv: readonly string[]): string[] => {
  const options = lists[argv[0] ?? ''];
  if (options === undefined) return [...argv];
  const isFile = options.includes('file');
  const words = isFile ? argv.map((word) => word.replace(/^-f(?==|$)/, '--file')) : argv;
  return gatherLists(words, options);
};

function report(error: unknown, io: Io, verbose: boolean): ExitCode {
  if (error instanceof DiagnosticError) {
    io.err(`intransit: ${error.message}\n`);
    if (verbose) for (const d of error.diagnostics) if (d.log !== undefined) io.err(`\n${d.log}\n`);
    return 1;
  }
  if (error instanceof BpfError) {
    io.err(`intransit: ${error.message} [${error.code}]\n  help: ${error.remedy}\n`);
    if (verbose && error.log !== undefined) io.err(`\n${error.log}\n`);
    return 1;
  }
  if (error instanceof UsageError) {
    io.err(`intransit: ${error.message}\n  help: intransit --help, or intransit <command> --help\n`);
    return 2;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  io.err(`intransit: internal error, please report it: ${verbose ? text : text.split('\n')[0]}\n`);
  return 1;
}
