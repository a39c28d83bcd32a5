// Pause_resume does not read from a connection for a while, and then reads all of
// it. Meanwhile the kernels make the client wait, and not a byte is lost.
//
//	node tcp_server/pause_resume/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, pause } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  pause: { type: 'string', default: '2s' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer(read)
server.on('error', (err) => {
  console.error(`pause_resume: ${err.message}`)
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

function read (socket) {
  const peer = at({ address: socket.remoteAddress, port: socket.remotePort })
  console.log(`${peer} paused`)
  // No 'data' and no 'end' from now on. But Node goes on reading until the buffer in
  // the process is full. createServer({ pauseOnConnect: true }) reads nothing at all.
  socket.pause()
  setTimeout(() => {
    console.log(`${peer} resumed`)
    socket.resume() // there is no 'data' listener: what comes is counted and dropped
  }, ms(pause))
  socket.on('end', () => console.log(`${peer} ended after ${socket.bytesRead} bytes`))
  socket.on('error', (err) => console.error(`pause_resume: ${err.message}`)) // with no listener it would end the process
}

// ms reads a time as Go writes it: 1m30s, 200ms.
function ms (time) {
  const unit = { h: 3600e3, m: 60e3, s: 1e3, ms: 1 }
  const total = [...time.matchAll(/([\d.]+)(ms|[hms])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0)
  return Math.min(total, 2 ** 31 - 1) // of more setTimeout makes 1 ms
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
