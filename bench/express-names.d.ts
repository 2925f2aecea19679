// The types of fast-gateway, express-rate-limit and koa name packages that nothing here uses.

declare module "express" {
  export type Handler = unknown;
  export type NextFunction = () => void;
  export type Request = unknown;
  export type RequestHandler = unknown;
  export type Response = unknown;
}

declare namespace Express {
  interface Application {
    readonly locals: unknown;
  }
}

// koa's types are made for version 1 of it; version 2, which brings types of its own, stands beside them.
declare module "content-disposition" {
  export type Options = unknown;
}
