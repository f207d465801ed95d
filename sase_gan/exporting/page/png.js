// PNG files with the recipe of the picture in their text, as `sase-gan sample` writes them.

const COLOUR_TYPE = { 1: 0, 3: 2, 4: 6 };
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}

function chunk(kind, content) {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(content, 8);
  view.setUint32(bytes.length - 4, crc(bytes.subarray(4, bytes.length - 4)));
  return bytes;
}

async function compressed(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A picture as a PNG; `text` is an object of short ASCII texts. */
export async function pngOf({ width, height, channels, bytes }, text) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, COLOUR_TYPE[channels]], 8);
  const row = width * channels;
  const rows = new Uint8Array(height * (row + 1));
  for (let y = 0; y < height; y++) rows.set(bytes.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  const notes = Object.entries(text).map(([key, value]) =>
    chunk("tEXt", Uint8Array.from([...new TextEncoder().encode(key), 0, ...new TextEncoder().encode(value)])),
  );
  const parts = [chunk("IHDR", header), ...notes, chunk("IDAT", await compressed(rows)), chunk("IEND", new Uint8Array())];
  return new Blob([Uint8Array.from([137, 80, 78, 71, 13, 10, 26, 10]), ...parts], { type: "image/png" });
}
