// Write sends many bytes, and reads what comes back while it still sends.
//
//	node tcp_client/write/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, bytes, chunk } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  bytes: { type: 'string', default: '1048576' },
  chunk: { type: 'string', default: '65536' }
} }).values
if (!/^\d+$/.test(bytes) || !(/^\d+$/.test(chunk) && chunk >= 1)) { // of nothing, or of half a byte, there would be no end
  console.error(`write: want --bytes of 0 or more and a --chunk of 1 or more, not ${bytes} ${chunk}`)
  process.exit(1)
}
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// allowHalfOpen: the peer's FIN does not stop our writing. In Go it never does.
const socket = net.connect({ host, port, allowHalfOpen: true })
let connected = false
socket.on('connect', () => {
  connected = true
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  write()
})

let left = +bytes
let writes = 0
const data = Buffer.alloc(+chunk)

// write never waits: what the kernel does not take, Node queues, with no limit.
// false says that the queue has reached its high-water mark. It is for us to stop.
function write () {
  while (left > 0) {
    const piece = data.subarray(0, left)
    left -= piece.length
    writes++
    if (!socket.write(piece)) {
      socket.once('drain', write) // the queue is empty again
      return
    }
  }
  // bytesWritten counts what is queued as well: it is true when all has gone.
  socket.end((err) => err || console.log(`wrote ${socket.bytesWritten} bytes in ${writes} writes`))
}

// Reading goes on meanwhile: one loop does both, there is nothing to start.
socket.resume()
socket.on('close', (hadError) => {
  if (connected) console.log(`received ${socket.bytesRead} bytes`)
  if (!hadError) console.log('closed')
})
socket.on('error', (err) => {
  console.error(`write: ${err.message || err.code}`)
  process.exitCode = 1
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.destroy()) // how much the kernel took, Node cannot tell
}

function at (ip, port) {
  return /:/.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
