// Buffer_size writes to a peer that does not read, until the kernel takes no more:
// from there on Node queues in the program.
//
//	node tcp_client/buffer_size/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, bytes } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  bytes: { type: 'string', default: '67108864' }
} }).values
if (!/^\d+$/.test(bytes)) { // half a byte would have no end
  console.error(`buffer_size: want whole --bytes, not ${bytes}`)
  process.exit(1)
}
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  fill(+bytes)
  socket.destroy() // drops the program's queue; what the kernel has it goes on sending
})
socket.on('error', (err) => {
  console.error(`buffer_size: ${err.message || err.code}`)
  process.exitCode = 1
})

function fill (size) {
  let wrote = 0
  const chunk = Buffer.alloc(65536)
  // write never waits. It hands over what there is room for, and queues the rest.
  while (wrote < size && socket.writableLength === 0) {
    const data = chunk.subarray(0, size - wrote)
    socket.write(data)
    wrote += data.length
  }
  // bufferSize, deprecated, is the same number. How much of what the kernel took the
  // peer has acknowledged, Node has no way to ask.
  console.log(`queued ${socket.writableLength} bytes, the kernel has not taken them`)
  console.log(`wrote ${wrote} bytes without blocking`)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    socket.destroy()
    console.log('closed')
  })
}

function at (ip, port) {
  return /:/.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
