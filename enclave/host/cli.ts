// SPDX-License-Identifier: Apache-2.0
/** The `mcp-bastion` command. Standard output is data, standard error is talk; exit codes are DESIGN section 11's. */
import { Unavailable, Usage } from '../../shared/errors.ts';
import { VERSION } from '../../shared/version.ts';

const NODE_MAJOR_MIN = 24;

const USAGE = `usage: mcp-bastion COMMAND [options]

  up           run an MCP server behind the gateway
  init         write a commented starter policy
  inspect-log  show or verify the audit log
  version      print the version

"mcp-bastion COMMAND --help" says more.
`;

const EXIT_USAGE = 2;
const EXIT_UNABLE = 3;

async function run(command: string, args: string[]): Promise<number> {
  const help = args.includes('--help') && (args.indexOf('--') === -1 || args.indexOf('--help') < args.indexOf('--'));
  const io = { stdout: process.stdout, stderr: process.stderr, env: process.env, cwd: process.cwd(), now: () => Date.now() };
  switch (command) {
    case 'up': {
      const { up, UP_USAGE } = await import('./up.ts');
      if (!help) return up(args);
      process.stdout.write(UP_USAGE);
      return 0;
    }
    case 'init': {
      const { initPolicy } = await import('./init.ts');
      return initPolicy(args, io);
    }
    case 'inspect-log': {
      const { inspectLog } = await import('./inspect.ts');
      return inspectLog(args, io);
    }
    case 'version':
    case '--version':
      process.stdout.write(`mcp-bastion ${VERSION}\n`);
      return 0;
    case '--help':
    case 'help':
      process.stdout.write(USAGE);
      return 0;
    default:
      throw new Usage('USAGE', command === '' ? 'a command is missing' : 'there is no such command', 'see: mcp-bastion --help');
  }
}

async function main(): Promise<number> {
  if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
    // better-sqlite3 crashes the process on older versions: refuse before anything native is loaded.
    process.stderr.write(`mcp-bastion: error: Node ${process.versions.node} is too old\nhint: install Node ${NODE_MAJOR_MIN} or newer\n`);
    return EXIT_UNABLE;
  }
  const [command = '', ...args] = process.argv.slice(2);
  try {
    return await run(command, args);
  } catch (error) {
    if (!(error instanceof Usage) && !(error instanceof Unavailable)) throw error;
    const who = command === '' || error.code === 'POLICY_INVALID' ? 'mcp-bastion' : command;
    process.stderr.write(`${who}: error: ${error.message}\nhint: ${error.hint}\n`);
    return error instanceof Usage ? EXIT_USAGE : EXIT_UNABLE;
  }
}

process.exit(await main());
