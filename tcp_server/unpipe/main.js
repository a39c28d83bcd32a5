// Unpipe appends what each connection sends to a file, for some time. After that
// the connection stays open, and nothing more reaches the file.
//
//	node tcp_server/unpipe/main.js
'use strict'
const fs = require('node:fs')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, to, after } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  to: { type: 'string', default: 'message.txt' },
  after: { type: 'string', default: '5s' } // as 1s or 200ms
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const fd = fs.openSync(to, 'a')
const open = new Set()

const server = net.createServer({ allowHalfOpen: true }, pipe) // FIN is ours to send: see pipe
server.on('error', (err) => {
  console.error(`unpipe: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address())))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    for (const socket of open) socket.resetAndDestroy() // not all is in the file
    console.log('closed')
    process.exit()
  })
}

function pipe (socket) {
  const peer = at({ address: socket.remoteAddress, port: socket.remotePort })
  open.add(socket)
  const file = fs.createWriteStream(to, { fd, autoClose: false })
  let how = 'piped'
  const tell = () => console.log(`${peer} ${how} ${file.bytesWritten} bytes`)

  //weave:unpipe
  socket.pipe(file)
  const timer = setTimeout(() => {
    how = 'unpiped after'
    // This pauses the socket. What Node reads ahead all the same stays in its memory,
    // and with data there it tells of no FIN: that one stands behind them.
    socket.unpipe(file)
    file.end()
  }, ms(after))
  file.on('finish', () => {
    tell()
    if (how === 'piped') socket.end() // all is in the file: FIN
  })
  //weave:end
  file.on('error', (err) => {
    console.error(`unpipe: ${err.message}`)
    tell()
    socket.resetAndDestroy()
  })
  socket.on('end', () => {
    clearTimeout(timer)
    if (how !== 'piped') socket.end() // else the file ends first
  })
  socket.on('error', (err) => {
    console.error(`unpipe: ${err.message}`)
    file.end()
  })
  socket.on('close', () => {
    clearTimeout(timer)
    open.delete(socket)
    console.log(`${peer} closed`)
  })
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
