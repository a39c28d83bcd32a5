// Timeout echoes, and closes a connection on which nothing has moved for some time.
//
//	node tcp_server/timeout/main.js --timeout 1s
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, timeout } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  timeout: { type: 'string', default: '10s' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer(echo)
server.on('error', (err) => {
  console.error(`timeout: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address())))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function echo (socket) {
  const peer = at({ address: socket.remoteAddress, port: socket.remotePort })
  socket.pipe(socket)
  // A timer that every read and write winds up again, and so does a part of a write
  // that the kernel has taken meanwhile. 0 switches it off.
  socket.setTimeout(ms(timeout))
  socket.on('timeout', () => {
    // It says so, and closes nothing. Timers come before sockets: a process that was
    // stopped meanwhile has not looked yet at what came in time. So it looks once more.
    const state = () => [socket.bytesRead, socket.writableLength, socket.readableEnded, socket.destroyed].join()
    const before = state()
    setImmediate(() => {
      if (state() !== before) return // bytes have moved, or it has left
      console.log(`${peer} timed out after ${timeout}`)
      socket.destroy()
    })
  })
  socket.on('error', (err) => console.error(`timeout: ${err.message}`)) // with no listener it would end the process
}

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  return [...time.matchAll(/([\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
