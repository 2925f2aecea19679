/** The 64 bytes that every upstream of a bench answers with. */
export const BODY: Buffer = Buffer.from("0123456789abcdef".repeat(4));
