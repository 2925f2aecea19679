// The types of fast-gateway, express-rate-limit and koa's cookies name Express: nothing here uses it.

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
