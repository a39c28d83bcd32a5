// Pause_resume shows that a client stalls while nobody reads what it sends, and
// that nothing is lost.
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

const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  console.log(`${peer} paused`)
  socket.pause() // Node reads some all the same, until its own buffer is full
  setTimeout(() => {
    console.log(`${peer} resumed`)
    socket.resume()
  }, ms(pause))
  socket.on('end', () => console.log(`${peer} ended after ${socket.bytesRead} bytes`))
  socket.on('error', (err) => console.error(`pause_resume: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`pause_resume: ${err.message}`)
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
