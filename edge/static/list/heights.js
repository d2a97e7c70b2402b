// @ts-check
/**
 * How high the rows of a long list are, and so where each of them begins: measured where a row has been drawn, estimated
 * where it hasn't.
 *
 * Other rows cost a comparison each, and a step for each that didn't follow on the one above it before: a long list that
 * loses some at its top and gains some at its end costs little. A measurement costs one step for each row behind it; a
 * place, the logarithm.
 */

/** @typedef {{key: string}} Row */

/** Before anything was measured: a comment of one line. */
const ESTIMATE_PX = 32;

export class Heights {
  /** @type {readonly Row[]} */
  #rows = [];
  /** What was measured, px, by key; those that are gone stay for a while. @type {Map<string, number>} */
  #measured = new Map();
  #estimate = ESTIMATE_PX;
  #isEstimated = false;
  /** Where each row begins, and behind the last one where the list ends. */
  #offsets = new Float64Array(1);
  /** Made when it is asked for. @type {Map<string, number> | null} */
  #indexes = null;

  get count() {
    return this.#rows.length;
  }

  /** Of all rows, px. */
  get total() {
    return this.#offsets[this.count];
  }

  /** Which rows there are, from the top; what was measured of a key stays known. @param {readonly Row[]} rows */
  set rows(rows) {
    const before = this.#rows;
    if (rows === before) return;
    this.#rows = rows;
    this.#indexes = null;
    if (this.#offsets.length <= rows.length) {
      const offsets = this.#offsets;
      this.#offsets = new Float64Array(rows.length * 2);
      this.#offsets.set(offsets);
    }
    if (this.#measured.size > 2 * rows.length + 100) this.#forgetOthers();
    const gone = rows.length ? Math.max(0, before.findIndex(({ key }) => key === rows[0].key)) : 0;
    const kept = countSame(before, gone, rows);
    const origin = this.#offsets[gone];
    for (let index = 0; index <= kept; index += 1) this.#offsets[index] = this.#offsets[index + gone] - origin;
    this.#build(kept);
  }

  /** @param {number} index */
  keyAt(index) {
    return this.#rows[index].key;
  }

  /** @param {string} key @returns {number | undefined} */
  indexOf(key) {
    this.#indexes ??= new Map(this.#rows.map(({ key }, index) => [key, index]));
    return this.#indexes.get(key);
  }

  /** Where a row begins, px below the first one. @param {number} index up to `count`, where the list ends */
  offsetOf(index) {
    return this.#offsets[index];
  }

  /** The row at this place; the first or the last one when it lies outside. @param {number} offset px */
  indexAt(offset) {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#offsets[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * @param {number} first index of the first one that was measured
   * @param {readonly number[]} heights px, of the rows from there on
   * @returns {boolean} something was not as it had been thought
   */
  measured(first, heights) {
    let changed = -1;
    for (const [at, height] of heights.entries()) {
      const { key } = this.#rows[first + at];
      if (this.#measured.get(key) === height) continue;
      if (!this.#isEstimated) {
        // The first ones tell what to expect of the others; later on the estimate stays, for the others to stay in place.
        this.#estimate = heights.reduce((sum, each) => sum + each, 0) / heights.length;
        this.#isEstimated = true;
        changed = 0;
      }
      this.#measured.set(key, height);
      if (changed < 0) changed = first + at;
    }
    if (changed >= 0) this.#build(changed);
    return changed >= 0;
  }

  /** @param {number} from */
  #build(from) {
    for (let index = from; index < this.count; index += 1) {
      const height = this.#measured.get(this.#rows[index].key) ?? this.#estimate;
      this.#offsets[index + 1] = this.#offsets[index] + height;
    }
  }

  #forgetOthers() {
    const kept = new Map();
    for (const { key } of this.#rows) {
      const height = this.#measured.get(key);
      if (height !== undefined) kept.set(key, height);
    }
    this.#measured = kept;
  }
}

/**
 * How many rows from the top stood one after the other before.
 *
 * @param {readonly Row[]} before
 * @param {number} from where the first of them stood
 * @param {readonly Row[]} rows
 */
function countSame(before, from, rows) {
  const most = Math.min(before.length - from, rows.length);
  let count = 0;
  while (count < most && (before[from + count] === rows[count] || before[from + count].key === rows[count].key)) count += 1;
  return count;
}
