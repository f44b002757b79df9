/** The floating-point types that a model's output may be rounded to. */
export const numberTypes = ['bf16', 'f16', 'f32'] as const;
export type NumberType = (typeof numberTypes)[number];

/** Bits of the significand behind the first, and the exponents of the least and the greatest normal numbers. */
const formats: Record<NumberType, { bits: number; least: number; most: number }> = {
  bf16: { bits: 7, least: -126, most: 127 },
  f16: { bits: 10, least: -14, most: 15 },
  f32: { bits: 23, least: -126, most: 127 },
};

/** δ of the paper (§6.2): the spacing of the type's numbers over 1, so 1/128 for bf16. */
export const relativeError = (type: NumberType): number => 2 ** -formats[type].bits;

/** The number of that type nearest to x; ties go to the even one. */
export function roundTo(type: NumberType, x: number): number {
  const { bits, least, most } = formats[type];
  if (!Number.isFinite(x)) return x;
  const spacing = 2 ** (Math.max(exponent(x), least) - bits);
  const rounded = roundHalfEven(x / spacing) * spacing;
  return Math.abs(rounded) < 2 ** (most + 1) ? rounded : Math.sign(x) * Infinity;
}

const words = new DataView(new ArrayBuffer(8));

/** e of x = ±2^e m with m in [1, 2); -1023 for 0 and the numbers next to it. */
function exponent(x: number): number {
  words.setFloat64(0, x);
  return ((words.getUint32(0) >>> 20) & 0x7ff) - 1023;
}

/** For whole parts under 2^52: adding and taking 2^52 leaves no room for a fraction. */
function roundHalfEven(x: number): number {
  const large = x < 0 ? -(2 ** 52) : 2 ** 52;
  return x + large - large;
}
