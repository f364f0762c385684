"""One-way transfer over blocking sockets: the kernel's own limit."""

import socket

import meter


def receive() -> None:
    buffer = bytearray(meter.PIECE)
    view = memoryview(buffer)
    with socket.create_server(("127.0.0.1", meter.PORT)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                sink = meter.Sink()
                while sink.take(view[: connection.recv_into(buffer)]):
                    pass
                try:
                    connection.sendall(b"!")
                except ConnectionError:
                    pass


def send() -> None:
    for pieces in meter.sources():
        with socket.create_connection(("127.0.0.1", meter.PORT)) as connection:
            for piece in pieces:
                connection.sendall(piece)
            connection.recv(1)


if __name__ == "__main__":
    match meter.job():
        case "receive":
            receive()
        case "send":
            send()
