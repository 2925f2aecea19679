// koa's types name content-disposition, of which another version with other types is installed: nothing here uses it.

declare module "content-disposition" {
  export type Options = unknown;
}
