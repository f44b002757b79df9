/** The values used last, by key, made when first needed: the one not used for longest goes first. */
export class Recent<V> {
  private readonly values = new Map<string, Promise<V>>();

  /**
   * @param most that are kept
   * @param drop lets go of one; it may still be in use on the device, not by the host
   */
  constructor(
    private readonly most: number,
    private readonly drop: (value: V) => Promise<void>,
  ) {}

  /** The value of `key`; one that could not be made is tried again at the next call. */
  async get(key: string, make: () => Promise<V>): Promise<V> {
    const found = this.values.get(key) ?? make();
    this.values.delete(key);
    this.values.set(key, found); // the last used stands last
    found.catch(() => {
      if (this.values.get(key) === found) this.values.delete(key);
    });
    if (this.values.size > this.most) {
      const [oldest, gone] = this.values.entries().next().value!;
      this.values.delete(oldest);
      await this.let(gone);
    }
    return found;
  }

  async clear(): Promise<void> {
    const all = [...this.values.values()];
    this.values.clear();
    for (const value of all) await this.let(value);
  }

  private async let(value: Promise<V>): Promise<void> {
    const made = await value.catch(() => undefined);
    if (made !== undefined) await this.drop(made);
  }
}
