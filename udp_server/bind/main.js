// Bind takes an address and a port for a socket of one family. From then on the
// kernel keeps what is sent there, whether anybody reads it or not.
//
//	node udp_server/bind/main.js
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr, network } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  network: { type: 'string', default: 'udp4' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

//weave:bind
// A udp6 socket on :: takes the port for IPv4 too, unless ipv6Only is true.
const socket = dgram.createSocket({ type: network, ipv6Only: false })
socket.on('listening', () => console.log(`listening on ${at(socket.address())} (${network})`))
socket.on('error', fail) // EADDRINUSE, EADDRNOTAVAIL; with nobody to listen for it, it ends the process
if (isGroup(host)) { // Node would bind it, and join nothing
  fail(new Error(`bind ${addr}: a multicast group has to be joined, see multicast:client`))
} else {
  socket.bind(port, host) // looks the name up, so it returns before the socket is bound
}
//weave:end

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

function fail (err) {
  console.error(`bind: ${err.message}`)
  process.exitCode = 1
  socket.close()
}

function isGroup (ip) {
  return /^(22[4-9]|23\d)\./.test(ip) || /^ff..:/i.test(ip)
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
