# Wrong: no half-close. It takes the client's FIN for the end of the connection.
import argparse, os, signal, socket, sys, threading

MOST = 64 << 20  # bytes kept of one client

parser = argparse.ArgumentParser()
parser.add_argument("--addr", default="127.0.0.1:8080")
parser.add_argument("--allow", default="true")
args = parser.parse_args()


def serve(conn, peer):
    data = bytearray()
    try:
        with conn:
            while more := conn.recv(65536):
                data += more
                if len(data) > MOST:
                    raise OSError(f"{peer} sends more than {MOST} bytes")
            print(f"{peer} ended after {len(data)} bytes\n", end="")
    except OSError as err:
        print(err, file=sys.stderr)
    print(f"{peer} closed\n", end="")


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
