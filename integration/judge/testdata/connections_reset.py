# Wrong: it resets who is dropped, where a FIN is due.
import argparse, os, signal, socket, struct, sys, threading

parser = argparse.ArgumentParser()
parser.add_argument("--addr", default="127.0.0.1:8080")
parser.add_argument("--max", type=int, default=0)
args = parser.parse_args()

lock = threading.Lock()
clients = 0


def tell(peer, what, change):
    global clients
    with lock:
        clients += change
        print(f"{peer} {what}, {clients} open")


def serve(conn, peer):
    error = None
    try:
        while conn.recv(65536):
            pass
    except OSError as err:
        error = err
    with lock:  # who sees our FIN finds the place free
        global clients
        clients -= 1
        print(f"{peer} closed, {clients} open")
        conn.close()
    if error:
        print(error, file=sys.stderr)


def stop():
    signal.sigwait(signals)  # a handler would wait until the call under way returns
    print("closed")
    sys.stdout.flush()
    os._exit(0)


def drop(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # so that no TIME_WAIT is left
    conn.close()


host, port = args.addr.rsplit(":", 1)
listener = socket.create_server((host, int(port)), backlog=512)
signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
threading.Thread(target=stop, daemon=True).start()
print("listening on {}:{}".format(*listener.getsockname()))
while True:
    conn, (ip, port) = listener.accept()
    peer = f"{ip}:{port}"
    if args.max and clients >= args.max:
        drop(conn)
        tell(peer, "dropped", 0)
        continue
    tell(peer, "connected", 1)
    threading.Thread(target=serve, args=(conn, peer)).start()
