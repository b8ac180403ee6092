"""A progress bar on a terminal; a few plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """Call it with the part that is done, 0 to 1, and what is being done: ``bar(0.5, "Second site")``."""

    def __init__(self) -> None:
        console = Console()
        columns = TextColumn("{task.description:<32}"), BarColumn(), TimeRemainingColumn()
        self._is_plain = not console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=self._is_plain)
        self._task = self._progress.add_task("", total=1.0)
        self._told = 0.0

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, done: float, words: str) -> None:
        self._progress.update(self._task, completed=done, description=words)
        if self._is_plain and done >= self._told:
            self._told += 0.25
            print(f"{words} ({done:.0%}) ...", flush=True)
