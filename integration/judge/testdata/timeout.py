# Echoes, and closes a connection on which nothing has moved for some time:
# tcp_server:timeout.
import argparse, os, re, select, signal, socket, sys, threading

parser = argparse.ArgumentParser()
parser.add_argument("--addr", default="127.0.0.1:8080")
parser.add_argument("--timeout", default="10s")
args = parser.parse_args()

UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
idle = sum(float(n) * UNITS[unit] for n, unit in re.findall(r"([\d.]+)(ms|[hms])", args.timeout)) or None


def receive(conn):
    try:
        return conn.recv(65536)
    except TimeoutError:
        # A process that was stopped meanwhile has not looked at what came in time.
        if not select.select([conn], [], [], 0)[0]:
            raise
        return conn.recv(65536)


def serve(conn, peer):
    conn.settimeout(idle)  # for each call: what has moved before does not count
    try:
        with conn:
            while data := receive(conn):
                data = memoryview(data)
                while data:  # sendall would have the timeout for all of it
                    data = data[conn.send(data):]
    except TimeoutError:
        print(f"{peer} timed out after {args.timeout}\n", end="")
    except OSError as err:
        print(err, file=sys.stderr)


def stop():
    signal.sigwait(signals)  # a handler would wait until the call under way returns
    print("closed")
    sys.stdout.flush()
    os._exit(0)


host, port = args.addr.rsplit(":", 1)
listener = socket.create_server((host, int(port)), backlog=100)
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
threading.Thread(target=stop, daemon=True).start()
print("listening on {}:{}".format(*listener.getsockname()))
while True:
    conn, (ip, port) = listener.accept()
    threading.Thread(target=serve, args=(conn, f"{ip}:{port}")).start()
