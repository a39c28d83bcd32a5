// Unpipe shows how to stop storing what a client sends, and to keep the connection.
//
//	node tcp_server/unpipe/main.js
'use strict'
const fs = require('node:fs')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, to, after } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  to: { type: 'string', default: 'message.txt' },
  after: { type: 'string', default: '5s' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const fd = fs.openSync(to, 'a')

const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  const file = fs.createWriteStream(to, { fd, autoClose: false })
  socket.pipe(file)
  let how = 'piped'
  const timer = setTimeout(() => {
    how = 'unpiped after'
    socket.unpipe(file) // which also pauses the socket
    file.end()
  }, ms(after))
  file.on('finish', () => {
    clearTimeout(timer)
    console.log(`${peer} ${how} ${file.bytesWritten} bytes`)
  })
  // The end of a connection stands behind the data, and a paused socket gets to
  // it only if there are none. Go's program asks the kernel.
  socket.on('close', () => console.log(`${peer} closed`))
  socket.on('error', (err) => console.error(`unpipe: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`unpipe: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => {
  console.log('listening on', at(server.address().address, server.address().port))
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// ms reads a time as Go prints it: 500ms, 2s.
function ms (time) {
  return parseFloat(time) * (time.endsWith('ms') ? 1 : 1000)
}
