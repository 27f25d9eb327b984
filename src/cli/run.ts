import yargs, { type CommandModule } from 'yargs';
import { BpfError } from '../bpf/index.ts';
import { DiagnosticError } from '../diagnostics/index.ts';
import { gatherLists } from './gather-lists.ts';
import { wrapHelp } from './help-text.ts';
import { type Io, printableIo } from './io.ts';
import { UsageError } from './usage.ts';

/** 0: done; 1: refused or failed; 2: the command line is wrong. */
export type ExitCode = 0 | 1 | 2;
/** Of a command that has compared something: whether it failed. */
type OnEnd = (failed: boolean) => void;

/** In the order of the help. Each is loaded when it is named: an agent that starts again does not wait for what it never uses. */
const commands: Readonly<Record<string, (io: Io, onEnd: OnEnd, version: string) => Promise<CommandModule>>> =
  {
    compile: async (io) => (await import('./commands/compile.ts')).compileCommand(io),
    quantise: async (io) => (await import('./commands/quantise.ts')).quantiseCommand(io),
    inspect: async (io) => (await import('./commands/inspect.ts')).inspectCommand(io),
    plan: async (io) => (await import('./commands/plan.ts')).planCommand(io),
    deploy: async (io) => (await import('./commands/deploy.ts')).deployCommand(io),
    controller: async (io, _, version) =>
      (await import('./commands/controller.ts')).controllerCommand(io, version),
    apply: async (io) => (await import('./commands/objects/apply.ts')).applyCommand(io),
    get: async (io) => (await import('./commands/objects/get.ts')).getCommand(io),
    describe: async (io) => (await import('./commands/objects/get.ts')).describeCommand(io),
    diff: async (io) => (await import('./commands/objects/apply.ts')).diffCommand(io),
    delete: async (io) => (await import('./commands/objects/delete.ts')).deleteCommand(io),
    watch: async (io) => (await import('./commands/objects/watch.ts')).watchCommand(io),
    events: async (io) => (await import('./commands/objects/events.ts')).eventsCommand(io),
    resolve: async (io) => (await import('./commands/objects/resolve.ts')).resolveCommand(io),
    handover: async (io) => (await import('./commands/objects/handover.ts')).handoverCommand(io),
    run: async (io) => (await import('./commands/run.ts')).runCommand(io),
    verify: async (io, onEnd) => (await import('./commands/verify.ts')).verifyCommand(io, onEnd),
    send: async (io) => (await import('./commands/send.ts')).sendCommand(io),
    worker: async (io, _, version) => (await import('./commands/worker.ts')).workerCommand(io, version),
    bench: async (io) => (await import('./commands/bench.ts')).benchCommand(io),
    features: async (io) => (await import('./commands/features.ts')).featuresCommand(io),
    classify: async (io, onEnd) => (await import('./commands/classify.ts')).classifyCommand(io, onEnd),
    demo: async (io) => (await import('./commands/demo.ts')).demoCommand(io),
    p4info: async (io) => (await import('./commands/p4info.ts')).p4infoCommand(io),
    agent: async (io) => (await import('./commands/agent.ts')).agentCommand(io),
  };

/** The commands of a command line: the one that comes first; all of them where something else does, for the help and for what was meant. */
export const commandsOf = (
  argv: readonly string[],
  ...given: [Io, OnEnd, string]
): Promise<readonly CommandModule[]> => {
  const [first = ''] = argv;
  const named = Object.hasOwn(commands, first) ? [commands[first]!] : Object.values(commands);
  return Promise.all(named.map((load) => load(...given)));
};

/** Runs one command line. Never exits the process, never throws for what the user can mend. */
export async function run(argv: readonly string[], given: Io, version: string): Promise<ExitCode> {
  const io = printableIo(given);
  let code: ExitCode = 0;
  const verbose = argv.includes('--verbose');
  const onEnd = (failed: boolean) => {
    code = failed ? 1 : 0;
  };
  const modules = await commandsOf(argv, io, onEnd, version);
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
    .command([...modules])
    .demandCommand(1, 'name a command')
    .recommendCommands()
    .strict()
    .wrap(null)
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
      if (output) io.out(`${wrapHelp(output, process.stdout.columns)}\n`);
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
