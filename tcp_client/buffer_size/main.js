// Buffer_size shows where bytes wait that a peer does not read: Node has a queue
// of its own before the kernel's.
//
//	node tcp_client/buffer_size/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, bytes } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  bytes: { type: 'string', default: '67108864' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  // As long as the kernel takes all at once, nothing queues here.
  let wrote = 0
  for (const data = Buffer.alloc(65536); socket.writableLength === 0 && wrote < +bytes; wrote += data.length) {
    socket.write(data)
  }
  // bufferSize is deprecated and was the same. How large the kernel's buffer is,
  // and how much of it the peer has not acknowledged, Node has no way to ask.
  console.log(`queued ${socket.writableLength} bytes, the kernel has not taken them`)
  console.log(`wrote ${wrote} bytes without blocking`)
})
socket.on('error', (err) => {
  console.error(`buffer_size: ${err.message}`)
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
