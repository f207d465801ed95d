// The model as the page sees it: asked for pictures, it gives bytes as a PNG has them.

export class Model {
  constructor(description) {
    this.description = description;
    this.waiting = new Map();
    this.count = 0;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => {
      if (data.loaded !== undefined) return this.progress(data.loaded / description.bytes);
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error === undefined) resolve(data.result);
      else reject(new Error(data.error));
    };
    this.worker.onerror = (event) => {
      const error = new Error(event.message || "this browser cannot run the model's worker");
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    };
    this.progress = () => {};
  }

  #ask(message) {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...message });
    });
  }

  /** Fetch and open it; `progress` is told the share that has come. */
  load(address, progress) {
    this.progress = progress;
    return this.#ask({ load: address, model: this.description });
  }

  /** Float values in [-1, 1] of a batch, channels first, with their shape. */
  floats(requests) {
    return this.#ask({ requests });
  }

  /** Pictures of a batch: bytes as files hold them, 1, 3 or 4 a pixel. */
  async draw(requests) {
    const { values, shape } = await this.floats(requests);
    const [count, channels, height, width] = shape;
    const size = channels * height * width;
    return Array.from({ length: count }, (_, place) => {
      const part = values.subarray(place * size, (place + 1) * size);
      return { width, height, channels, bytes: filed(toBytes(part, channels, height * width), channels) };
    });
  }
}

/** As sase_gan.pixels.to_uint8: x * 127.5 + 128 in single precision, clamped, truncated; pixel by pixel. */
export function toBytes(values, channels, pixels) {
  const bytes = new Uint8ClampedArray(channels * pixels);
  for (let channel = 0; channel < channels; channel++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      const level = Math.fround(Math.fround(values[channel * pixels + pixel] * 127.5) + 128);
      bytes[pixel * channels + channel] = Math.trunc(Math.min(255, Math.max(0, level)));
    }
  }
  return bytes;
}

/** As sase_gan.colours.filed: a model of pictures with transparency knows what is seen on white; a file what is mixed. */
export function filed(bytes, channels) {
  if (channels !== 4) return bytes;
  for (let place = 0; place < bytes.length; place += 4) {
    const alpha = bytes[place + 3];
    for (let channel = place; channel < place + 3; channel++) {
      const mixed = (bytes[channel] + alpha - 255) * 255 + (alpha >> 1);
      bytes[channel] = alpha ? Math.floor(mixed / alpha) : 255;
    }
  }
  return bytes;
}

/** Show a picture on a canvas, which takes its size. */
export function show(canvas, picture) {
  const { width, height, channels, bytes } = picture;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[pixel * 4 + channel] = bytes[pixel * channels + (channels === 1 ? 0 : channel)];
    }
    image.data[pixel * 4 + 3] = channels === 4 ? bytes[pixel * 4 + 3] : 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}
