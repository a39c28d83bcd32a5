// Client prints the datagrams that arrive, broadcasts among them.
//
//	node broadcast/client/main.js
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '0.0.0.0:8080' }
} }).values
const [host, port] = addr.split(':')

// reuseAddr: several clients on one machine, and all of them hear.
const socket = dgram.createSocket({ type: 'udp4', reuseAddr: true }, (message, rinfo) => {
  console.log(`${rinfo.address}:${rinfo.port}: ${quote(message)}`)
})
socket.on('error', (err) => {
  console.error(`client: ${err.message}`)
  process.exitCode = 1
  socket.close()
})
socket.bind(port, host, () => {
  console.log(`listening on ${socket.address().address}:${socket.address().port}`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

// quote shows the first 64 bytes of data, much as Go's %q does.
function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString()) + (data.length > 64 ? '…' : '')
}
