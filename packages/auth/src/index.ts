export { ANONYMOUS, type Principal } from "./principal.ts";
