/** A line to the person (stderr) and a line of the result (stdout). */

export const say = (text: string): void => void process.stderr.write(`${text}\n`);

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
