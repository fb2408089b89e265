"""Say so before anything starts if the port is taken: `python -m dev.port 8000`."""

import socket
import sys


def main(port: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except (OSError, ValueError, OverflowError) as error:
            sys.exit(f"Port {port} cannot be used ({error}). Name another one: make run PORT=8001")


if __name__ == "__main__":
    main(sys.argv[1])
