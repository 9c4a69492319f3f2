"""A package index on loopback that can break off a wheel in the middle."""

from pathlib import Path

from loopback import Handler, Server


class IndexServer(Server):
    """Serves the wheels of a folder as a simple index; `broken` times a wheel ends after half its bytes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(_Handler)
        self.folder = folder
        self.broken = 0
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"{super().url}/simple"


class _Handler(Handler):
    server: IndexServer

    def answer(self) -> None:
        self.server.asked.append(self.path)
        if self.path.endswith(".whl"):
            data = (self.server.folder / self.path.rpartition("/")[2]).read_bytes()
            end = len(data)
            if self.server.broken:
                self.server.broken -= 1
                end //= 2
                self.close_connection = True
            self._give(data[:end], "application/octet-stream", length=len(data))
            return
        package = self.path.strip("/").rpartition("/")[2].replace("-", "_")
        names = [path.name for path in self.server.folder.glob(f"{package}-*.whl")]
        links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
        content = f"<!doctype html><html><body>{links}</body></html>".encode()
        self._give(content, "text/html", length=len(content))

    def _give(self, body: bytes, kind: str, *, length: int) -> None:
        self.head(200, {"Content-Type": kind, "Content-Length": str(length)})
        if self.command == "GET":
            self.wfile.write(body)
