#!/usr/bin/env node
/** The command `ct-lite`: exit code 0 done, 1 error, 2 wrong usage, 130 interrupted. */
import { runCommandLine } from './run.ts';

// `ct-lite … | head` closes the pipe early; that is no error worth a stack.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const code = await runCommandLine(process.argv.slice(2));
process.exitCode = code || process.exitCode || 0;
