// The corrected nuclei as files.

/** Return QuPath's GeoJSON of nuclei, as `nucseg predict --format geojson` writes it. */
function toGeoJson(nuclei, shown) {
  const features = shown.map((nucleus, k) => {
    const points = [];
    for (let i = 0; i < nucleus.ring.length; i += 2) points.push([nucleus.ring[i], nucleus.ring[i + 1]]);
    const measurements = { Label: k + 1, Score: nucleus.score, "Area px^2": nucleus.area };
    if (nuclei.pixelSize) measurements["Area \u00b5m^2"] = nucleus.area * nuclei.pixelSize[0] * nuclei.pixelSize[1];
    return {
      type: "Feature",
      geometry: { type: "Polygon", coordinates: [[...points, points[0]]] },
      properties: {
        objectType: "detection",
        classification: { name: "Nucleus", color: [0, 158, 115] },
        measurements,
      },
    };
  });
  // What `nucseg` checks when the file comes back; other readers pass over it.
  const image = { name: nuclei.name, width: nuclei.width, height: nuclei.height };
  return JSON.stringify({ type: "FeatureCollection", image, features });
}

/** Return a table with one row per nucleus; measurements that a correction made wrong are empty. */
function toCsv(nuclei, shown) {
  const columns = ["label", "score", "corrected", ...nuclei.columns];
  const cell = (value) => (value === undefined || value === null ? "" : String(value));
  const text = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const rows = shown.map((nucleus, k) =>
    columns.map((name) => cell({ label: k + 1, score: nucleus.score, corrected: nucleus.corrected }[name] ?? nucleus.values[name]))
  );
  return [columns, ...rows].map((row) => row.map(text).join(",")).join("\n") + "\n";
}

/** Return a label image as an uncompressed TIFF of 16 bits, or of 32 above 65,535 nuclei. */
function toTiff(nuclei, shown) {
  const bytes = shown.length < 65536 ? 2 : 4;
  const numbers = new Map(shown.map((nucleus, k) => [nucleus.id, k + 1]));
  const size = nuclei.labels.length * bytes, tags = [
    [256, 4, nuclei.width], [257, 4, nuclei.height], [258, 3, 8 * bytes], [259, 3, 1], [262, 3, 1],
    [273, 4, 8], [277, 3, 1], [278, 4, nuclei.height], [279, 4, size], [339, 3, 1],
  ];
  const buffer = new DataView(new ArrayBuffer(8 + size + 2 + 12 * tags.length + 4));
  buffer.setUint32(0, 0x49492a00); // "II", 42
  buffer.setUint32(4, 8 + size, true);
  nuclei.labels.forEach((label, at) => {
    const number = numbers.get(label) ?? 0;
    bytes === 2 ? buffer.setUint16(8 + 2 * at, number, true) : buffer.setUint32(8 + 4 * at, number, true);
  });
  buffer.setUint16(8 + size, tags.length, true);
  tags.forEach(([tag, kind, value], k) => {
    const at = 10 + size + 12 * k;
    buffer.setUint16(at, tag, true);
    buffer.setUint16(at + 2, kind, true);
    buffer.setUint32(at + 4, 1, true);
    kind === 3 ? buffer.setUint16(at + 8, value, true) : buffer.setUint32(at + 8, value, true);
  });
  return buffer.buffer;
}

/** Offer a file for download. */
function download(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
