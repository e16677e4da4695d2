/** Bindings that vitest.config.ts adds for tests of the Worker. */
interface __BaseEnv_Env {
  /** Stands in for SHIELD: three calls in a minute of the clock. */
  readonly TEST_SHIELD: RateLimit;
}
