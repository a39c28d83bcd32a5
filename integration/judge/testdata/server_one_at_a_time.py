# Wrong: while it serves one client it accepts no other.
import argparse, os, signal, socket, sys, threading

parser = argparse.ArgumentParser()
parser.add_argument("--addr", default="127.0.0.1:8080")
args = parser.parse_args()


def serve(conn, peer):
    size = 0
    try:
        with conn:
            while data := conn.recv(65536):
                conn.sendall(data)
                size += len(data)
    except OSError as err:
        print(err, file=sys.stderr)
    print(f"{peer} closed after {size} bytes\n", end="")


def stop():
    signal.sigwait(signals)  # a handler would wait until the call under way returns
    print("closed")
    sys.stdout.flush()
    os._exit(0)


def at(address):
    # With its zone, which the address itself has as a number.
    ip, port = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


host, port = args.addr.rsplit(":", 1)
family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
listener = socket.create_server(address, family=family, backlog=512)
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
threading.Thread(target=stop, daemon=True).start()
print("listening on", at(listener.getsockname()))
while True:
    conn, address = listener.accept()
    print(f"{at(address)} connected\n", end="")
    serve(conn, at(address))
