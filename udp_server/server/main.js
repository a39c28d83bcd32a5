// Server echoes each datagram to whoever sent it.
//
//	node udp_server/server/main.js
'use strict'
const dgram = require('node:dgram')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// The family has to be chosen here, before there is an address.
const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4', (message, rinfo) => {
  console.log(`${at(rinfo.address, rinfo.port)} ${rinfo.family} sent ${rinfo.size} bytes: ${quote(message)}`)
  socket.send(message, 0, message.length, rinfo.port, rinfo.address)
})
socket.on('error', (err) => {
  console.error(`server: ${err.message}`)
  socket.close()
  process.exitCode = 1
})
socket.bind(port, host, () => {
  console.log('listening on', at(socket.address().address, socket.address().port))
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// quote shows the first 64 bytes of data, much as Go's %q does.
function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString()) + (data.length > 64 ? '…' : '')
}
