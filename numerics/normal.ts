/** Integrals of the normal distribution in f64. */

/** Coefficients of W. J. Cody, "Rational Chebyshev approximations for the error function" (1969), highest power first. */
const near = {
  over: [0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694],
  under: [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171],
};
const middle = {
  over: [
    2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
    881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
  ],
  under: [
    1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
    4362.619090143247, 3439.3676741437216, 1230.3393548037495,
  ],
};
const far = {
  over: [
    0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
    0.0006587491615298378,
  ],
  under: [1, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918],
};

const polynomial = (coefficients: number[], x: number): number => coefficients.reduce((sum, c) => sum * x + c, 0);
const ratio = ({ over, under }: typeof near, x: number): number => polynomial(over, x) / polynomial(under, x);

/** e^(x²) erfc x for x from 0 up, to 1e-15 relative. */
export function erfcx(x: number): number {
  if (x <= 0.46875) return Math.exp(x * x) * (1 - x * ratio(near, x * x));
  if (x <= 4) return ratio(middle, x);
  const z = 1 / (x * x);
  return (1 / Math.sqrt(Math.PI) - z * ratio(far, z)) / x;
}

/** Nodes in (-1, 1), ascending, and weights of Gauss and Legendre's rule: exact for polynomials of degree 2n-1. */
export function gaussLegendre(n: number): { node: number; weight: number }[] {
  return Array.from({ length: n }, (_, i) => {
    let node = -Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 1;
    for (let round = 0; round < 8; round++) {
      let [before, now] = [1, node];
      for (let k = 2; k <= n; k++) [before, now] = [now, ((2 * k - 1) * node * now - (k - 1) * before) / k];
      slope = (n * (node * now - before)) / (node * node - 1);
      node -= now / slope;
    }
    return { node, weight: 2 / ((1 - node * node) * slope * slope) };
  });
}
