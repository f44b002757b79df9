/** Notices that the tab is hidden while something is timed: a hidden tab gets fewer turns, so what it measures is void. */
export class HiddenWatch {
  /** Whether it was hidden at any time since this watch began. */
  hidden = document.hidden;

  /** @param onHidden called when the tab is hidden for the first time */
  constructor(private readonly onHidden: () => void) {
    document.addEventListener('visibilitychange', this.look);
  }

  private readonly look = () => {
    if (this.hidden || !document.hidden) return;
    this.hidden = true;
    this.onHidden();
  };

  end(): void {
    document.removeEventListener('visibilitychange', this.look);
  }
}
