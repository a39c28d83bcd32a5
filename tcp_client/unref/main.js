// Unref shows what keeps a program alive: an open connection, or not even that.
//
//	node tcp_client/unref/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, ref } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  ref: { type: 'string', default: 'true' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// Node ends when there is nothing left to wait for, and a socket is something
// to wait for unless it is unref'd. Go ends when main returns, whatever is open.
const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  if (ref === 'true') {
    console.log('waiting for the peer')
  } else {
    socket.unref()
    console.log('not waiting')
  }
})
socket.resume()
socket.on('error', (err) => {
  console.error(`unref: ${err.message}`)
  process.exitCode = 1
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    socket.destroy()
    console.log('closed')
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
