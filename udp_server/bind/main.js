// Bind shows how to bind a UDP socket of one address family to an address.
//
//	node udp_server/bind/main.js
'use strict'
const dgram = require('node:dgram')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, network } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  network: { type: 'string', default: 'udp4' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// A udp6 socket on :: hears IPv4 too, unless ipv6Only is true. Go's never does.
const socket = dgram.createSocket(network)
socket.on('error', (err) => {
  console.error(`bind: ${err.message}`)
  socket.close()
  process.exitCode = 1
})
socket.on('listening', () => {
  console.log(`listening on ${at(socket.address().address, socket.address().port)} (${network})`)
})
socket.bind(port, host)

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
