// Address shows what a UDP socket is bound to: the IP, the port and the family.
//
//	node udp_server/address/main.js
'use strict'
const dgram = require('node:dgram')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, network } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  network: { type: 'string', default: 'udp4' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = dgram.createSocket(network)
socket.on('error', (err) => {
  console.error(`address: ${err.message}`)
  socket.close()
  process.exitCode = 1
})
socket.bind(port, host, () => {
  const { address, port, family } = socket.address() // before bind: EBADF
  console.log('listening on', at(address, port))
  console.log(`address: ${address}\nport: ${port}\nfamily: ${family}`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
