# Joins a multicast group and prints what is sent to it: multicast:client.
import argparse, json, os, signal, socket, struct, sys, threading

parser = argparse.ArgumentParser()
parser.add_argument("--group", default="230.185.192.108:8080")
parser.add_argument("--interface", default="lo")
args = parser.parse_args()
group, port = args.group.split(":")

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # others may have the port too
# Bound to the group, not to every address: a socket gets what any program on this
# machine has joined.
sock.bind((group, int(port)))
index = socket.if_nametoindex(args.interface)
sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                struct.pack("=4s4si", socket.inet_aton(group), bytes(4), index))
IP_RECVTTL = getattr(socket, "IP_RECVTTL", 12)
sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)


def stop():
    signal.sigwait(signals)  # a handler would wait until the call under way returns
    sock.close()
    print("closed")
    sys.stdout.flush()
    os._exit(0)


signals = {signal.SIGINT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
threading.Thread(target=stop, daemon=True).start()
print("listening on {}:{}".format(*sock.getsockname()))
print(f"joined {group} on {args.interface}")
while True:
    data, control, _, (ip, port) = sock.recvmsg(65536, socket.CMSG_SPACE(4))
    ttl = struct.unpack("=i", control[0][2])[0]
    text = json.dumps(data.decode(errors="replace")[:64], ensure_ascii=False)
    print(f"{ip}:{port} TTL {ttl}: {text}")
