/**
 * The fingerprint of RSA moduli made by a broken chip library (CVE-2017-15361, "ROCA"): their primes have the form
 * k·M + (65537^a mod M) with M the product of the first primes, so that the modulus is a power of 65537 modulo
 * each of them. Such keys can be factored. A sound modulus shows this by chance about once in 2^27.
 * Source: Nemec, Sys, Svenda, Klinec, Matyas, "The Return of Coppersmith's Attack", §3.
 */
export function isRocaModulus(modulus: bigint): boolean {
  return POWERS.every(({ prime, residues }) => residues.has(Number(modulus % prime)));
}

/** The first 39 primes; every key length of the broken library used at least these. */
const PRIMES = [
  2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
  101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/** For each prime, every power of 65537 modulo it. */
const POWERS = PRIMES.map((prime) => {
  const residues = new Set<number>();
  for (let power = 1; !residues.has(power); power = (power * 65_537) % prime) residues.add(power);
  return { prime: BigInt(prime), residues };
});
