/** Where the body is in an axial slice. */

/** A table, blankets and the field's dark corners are thinner or darker than this. */
export const BODY_ABOVE_HU = -300;

/**
 * 1 where a voxel is joined to the slice's border without crossing the body's wall: air and whatever lies in it, not the lungs.
 * @param slice HU, [rows, columns] flat
 */
export function outsideBody(slice: Float32Array, rows: number, columns: number): Uint8Array {
  const outside = new Uint8Array(slice.length);
  const queue: number[] = [];
  const visit = (index: number): void => {
    if (outside[index] || slice[index]! >= BODY_ABOVE_HU) return;
    outside[index] = 1;
    queue.push(index);
  };
  for (let c = 0; c < columns; c++) {
    visit(c);
    visit((rows - 1) * columns + c);
  }
  for (let r = 0; r < rows; r++) {
    visit(r * columns);
    visit(r * columns + columns - 1);
  }
  for (let index = queue.pop(); index !== undefined; index = queue.pop()) {
    const column = index % columns;
    if (column > 0) visit(index - 1);
    if (column < columns - 1) visit(index + 1);
    if (index >= columns) visit(index - columns);
    if (index < slice.length - columns) visit(index + columns);
  }
  return outside;
}
