# Wrong: the deadline is set once, when the client connects, and no activity moves it.
import argparse, os, re, signal, socket, sys, threading, time

parser = argparse.ArgumentParser()
parser.add_argument("--addr", default="127.0.0.1:8080")
parser.add_argument("--timeout", default="10s")
args = parser.parse_args()

UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
idle = sum(float(n) * UNITS[unit] for n, unit in re.findall(r"([\d.]+)(ms|[hms])", args.timeout)) or None


def serve(conn, peer):
    deadline = idle and time.monotonic() + idle
    try:
        with conn:
            while True:
                conn.settimeout(idle and max(0.001, deadline - time.monotonic()))
                data = conn.recv(65536)
                if not data:
                    break
                conn.sendall(data)
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
