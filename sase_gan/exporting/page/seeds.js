// Random numbers by seed, the same as PyTorch's on a CPU: a picture is named by (snapshot, seed) here as everywhere.
//
// A seed and a purpose ("latent", "noise") are hashed by SHA-256, as sase_gan.seeds says; the hash starts a Mersenne
// twister (Matsumoto and Nishimura 1998, MT19937), and pairs of its numbers become normal ones by Box and Muller's
// transformation (1958), in the order in which torch.randn takes them. Written from these descriptions. The transformation is
// computed in double precision and rounded once, so values are torch's up to the last digits of float32.

const SHA_PRIMES = firstPrimes(64);
const SHA_CONSTANTS = Uint32Array.from(SHA_PRIMES, (prime) => fraction(Math.cbrt(prime)));

function firstPrimes(count) {
  const primes = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  return primes;
}

function fraction(x) {
  return Math.floor((x - Math.floor(x)) * 2 ** 32) >>> 0;
}

/** SHA-256 of a short text (FIPS 180-4), as eight words. Browsers offer their own to secure pages only. */
export function sha256(text) {
  const bytes = new TextEncoder().encode(text);
  const blocks = Math.ceil((bytes.length + 9) / 64);
  const padded = new DataView(new ArrayBuffer(blocks * 64));
  bytes.forEach((byte, place) => padded.setUint8(place, byte));
  padded.setUint8(bytes.length, 0x80);
  padded.setUint32(blocks * 64 - 4, bytes.length * 8);
  const rotated = (x, n) => (x >>> n) | (x << (32 - n));
  const hash = Uint32Array.from(SHA_PRIMES.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
  const words = new Uint32Array(64);
  for (let block = 0; block < blocks; block++) {
    for (let t = 0; t < 64; t++) {
      if (t < 16) {
        words[t] = padded.getUint32(block * 64 + t * 4);
      } else {
        const [x, y] = [words[t - 15], words[t - 2]];
        const low = rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3);
        const high = rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10);
        words[t] = words[t - 16] + low + words[t - 7] + high;
      }
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let t = 0; t < 64; t++) {
      const sumOfE = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
      const first = (h + sumOfE + ((e & f) ^ (~e & g)) + SHA_CONSTANTS[t] + words[t]) >>> 0;
      const sumOfA = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
      const second = (sumOfA + ((a & b) ^ (a & c) ^ (b & c))) >>> 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) >>> 0, c, b, a, (first + second) >>> 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, place) => (hash[place] += value));
  }
  return hash;
}

/** The low 32 bits of sase_gan.seeds.derive_seed(seed, purpose): all that the twister takes of it. */
export function derivedSeed(seed, purpose) {
  const [high, low] = sha256(`i${seed};s${purpose.length}:${purpose}`);
  return ((low >>> 1) | (high << 31)) >>> 0;
}

/** The index of the class that a seed has where none is chosen, as sase_gan.networks.conditioning.own_class. */
export function ownClass(counts, seed) {
  let place = new Normal(seed, "class").below(counts.reduce((total, count) => total + count, 0));
  return counts.findIndex((count) => (place -= count) < 0);
}

/** Normal numbers in the order of torch.randn on a CPU. */
export class Normal {
  constructor(seed, purpose) {
    const state = new Uint32Array(624);
    state[0] = derivedSeed(seed, purpose);
    for (let i = 1; i < 624; i++) {
      state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
    }
    this.state = state;
    this.place = 624;
    this.kept = null;
  }

  #word() {
    const state = this.state;
    if (this.place === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.place = 0;
    }
    let y = state[this.place++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** 24 bits of a word, in [0, 1). */
  #single() {
    return (this.#word() & 0xffffff) / 2 ** 24;
  }

  /** 53 bits of two words, in [0, 1). */
  #double() {
    const high = this.#word();
    return ((high & 0x1fffff) * 2 ** 32 + this.#word()) / 2 ** 53;
  }

  /** So many numbers, as one tensor of torch.randn has them. */
  draw(count) {
    const values = new Float32Array(count);
    if (count < 16) {
      for (let i = 0; i < count; i++) values[i] = this.#next();
      return values;
    }
    for (let i = 0; i < count; i++) values[i] = this.#single();
    const whole = count - (count % 16);
    for (let start = 0; start < whole; start += 16) transform(values, start);
    if (whole < count) {
      // The last sixteen are drawn anew together, though some of them were complete.
      for (let i = count - 16; i < count; i++) values[i] = this.#single();
      transform(values, count - 16);
    }
    return values;
  }

  /** A whole number below a count, as torch.randint draws one. */
  below(count) {
    return this.#word() % count;
  }

  #next() {
    if (this.kept !== null) {
      const kept = this.kept;
      this.kept = null;
      return kept;
    }
    const [angle, spread] = [2 * Math.PI * this.#double(), this.#double()];
    const radius = Math.sqrt(-2 * Math.log1p(-spread));
    this.kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

function transform(values, start) {
  for (let i = start; i < start + 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - values[i]));
    const angle = 2 * Math.PI * values[i + 8];
    values[i] = radius * Math.cos(angle);
    values[i + 8] = radius * Math.sin(angle);
  }
}
