# Wrong: it prints all of the data, and not 64 characters at most.
import argparse, json, os, signal, socket, sys, threading

parser = argparse.ArgumentParser()
parser.add_argument("--addr", default="127.0.0.1:8080")
parser.add_argument("--message", default="hello")
args = parser.parse_args()


def at(address):
    ip, port = address[:2]
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def shown(data):
    text = data.decode(errors="replace")
    return f"{len(data)} bytes: {json.dumps(text, ensure_ascii=False)}"


def stop():
    signal.sigwait(signals)  # a handler would wait until the call under way returns
    print("closed")
    sys.stdout.flush()
    os._exit(0)


signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
threading.Thread(target=stop, daemon=True).start()
host, port = args.addr.rsplit(":", 1)
try:
    # A name may have several addresses, and one of them nobody who answers.
    with socket.create_connection((host.strip("[]"), int(port)), timeout=2) as sock:
        sock.settimeout(None)
        print("connected to", at(sock.getpeername()), "from", at(sock.getsockname()))
        message = args.message.encode()
        sock.sendall(message)
        print("sent", shown(message))
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(65536):
            print("received", shown(data))
    print("closed")
except OSError as err:
    sys.exit(f"{args.addr}: {err}")
