// Outlines and label images: pixel (x, y) covers [x, x + 1] x [y, y + 1], a ring is [x, y, x, y, ...] of corners.
// A mask is {left, top, width, height, bits}: one byte a pixel.

/** Return the mask of the pixels whose centre lies inside a ring: inside an odd number of its turns. */
function fillRing(ring, width, height) {
  const xs = ring.filter((_, i) => i % 2 === 0), ys = ring.filter((_, i) => i % 2 === 1);
  const least = (values) => values.reduce((a, b) => Math.min(a, b)), most = (values) => values.reduce((a, b) => Math.max(a, b));
  const left = Math.max(0, Math.floor(least(xs))), right = Math.min(width, Math.ceil(most(xs)));
  const top = Math.max(0, Math.floor(least(ys))), bottom = Math.min(height, Math.ceil(most(ys)));
  const mask = newMask(left, top, Math.max(0, right - left), Math.max(0, bottom - top));
  for (let row = 0; row < mask.height; row++) {
    const y = top + row + 0.5, crossings = [];
    for (let i = 0, j = xs.length - 1; i < xs.length; j = i++) {
      if ((ys[i] > y) !== (ys[j] > y)) crossings.push(xs[i] + ((y - ys[i]) * (xs[j] - xs[i])) / (ys[j] - ys[i]));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const first = Math.max(left, Math.ceil(crossings[i] - 0.5)), end = Math.min(right, Math.ceil(crossings[i + 1] - 0.5));
      for (let x = first; x < end; x++) mask.bits[row * mask.width + x - left] = 1;
    }
  }
  return mask;
}

/** Return an empty mask. */
function newMask(left, top, width, height) {
  return { left, top, width, height, bits: new Uint8Array(width * height) };
}

/** Return the 4-connected pieces of the pixels with a value, each as a list of places in `bits`, the largest first. */
function piecesOf(bits, width, value = 1) {
  const seen = new Uint8Array(bits.length), pieces = [];
  for (let start = 0; start < bits.length; start++) {
    if (bits[start] !== value || seen[start]) continue;
    const piece = [start];
    seen[start] = 1;
    for (let k = 0; k < piece.length; k++) {
      const at = piece[k], x = at % width;
      for (const next of [x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1, at - width, at + width]) {
        if (next >= 0 && next < bits.length && bits[next] === value && !seen[next]) {
          seen[next] = 1;
          piece.push(next);
        }
      }
    }
    pieces.push(piece);
  }
  return pieces.sort((a, b) => b.length - a.length);
}

/** Return the places of a mask that it encloses (4-connected) but does not contain. */
function holesOf(mask) {
  const width = mask.width + 2, around = new Uint8Array(width * (mask.height + 2));
  mask.bits.forEach((bit, at) => {
    around[(Math.floor(at / mask.width) + 1) * width + (at % mask.width) + 1] = bit;
  });
  const holes = [];
  for (const piece of piecesOf(around, width, 0)) {
    if (piece.includes(0)) continue; // the outside
    for (const at of piece) holes.push((Math.floor(at / width) - 1) * mask.width + (at % width) - 1);
  }
  return holes;
}

/** Return the outer ring of a mask with one 4-connected piece: the corners at which it turns, in pixels of the image. */
function traceMask(mask) {
  const has = (x, y) => x >= 0 && y >= 0 && x < mask.width && y < mask.height && mask.bits[y * mask.width + x] === 1;
  const start = mask.bits.indexOf(1), ring = [];
  if (start < 0) return ring;
  // Clockwise along the pixels' edges with the mask on the right; right, down, left, up are 0 to 3.
  const steps = [[1, 0], [0, 1], [-1, 0], [0, -1]];
  const onRight = [[0, 0], [-1, 0], [-1, -1], [0, -1]], onLeft = [[0, -1], [0, 0], [-1, 0], [-1, -1]];
  const first = [start % mask.width, Math.floor(start / mask.width)];
  let [x, y] = first, direction = 0;
  do {
    x += steps[direction][0];
    y += steps[direction][1];
    const [rx, ry] = onRight[direction], [lx, ly] = onLeft[direction];
    // Pixels that touch at a corner only do not belong together: there the way turns to the right.
    const turn = !has(x + rx, y + ry) ? 1 : has(x + lx, y + ly) ? 3 : 0;
    if (turn) ring.push(x + mask.left, y + mask.top);
    direction = (direction + turn) % 4;
  } while (x !== first[0] || y !== first[1] || direction !== 0);
  return ring;
}

/** Return the convex hull of points [x, y], as a ring. */
function hullOf(points) {
  const sorted = points.slice().sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const side = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
  const half = (some) => {
    const kept = [];
    for (const point of some) {
      while (kept.length > 1 && side(kept[kept.length - 2], kept[kept.length - 1], point) <= 0) kept.pop();
      kept.push(point);
    }
    return kept.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())].flat();
}

/** Return the squared distance of a point from a polyline [x, y, x, y, ...]. */
function distanceToLine(x, y, line) {
  let least = Infinity;
  for (let i = 0; i + 3 < line.length; i += 2) {
    const [ax, ay, bx, by] = line.slice(i, i + 4), length = (bx - ax) ** 2 + (by - ay) ** 2;
    const along = length ? Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length)) : 0;
    least = Math.min(least, (x - ax - along * (bx - ax)) ** 2 + (y - ay - along * (by - ay)) ** 2);
  }
  return least;
}
