/** In place of Node's modules in scripts that name them and do without them in a browser. */
export default {};
